-- include: base callbacks
-- Notes that somebody is to be called. Known already, or ended: nothing changes.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 queue, 4 number or '' where any number of them may be, 5 age (ms), 6 when due (ms),
--          7 end (ms, 0 none), 8 most attempts, 9 time between attempts (ms), 10 document, 11 node or '',
--          12 attempts that were made before
-- Returns  the id that is in force for the number: this one, or an older one
local now, id, queue, number = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
if rc('EXISTS', K .. 'cb:' .. id) == 1 or rc('ZSCORE', K .. 'cbx', id) then
  return id
end
if number ~= '' then
  local other = rc('HGET', K .. 'cbn:' .. queue, number)
  if other then
    return other
  end
  rc('HSET', K .. 'cbn:' .. queue, number, id)
end
rc('HSET', K .. 'cb:' .. id, 'q', queue, 'num', number, 'n', '', 'e', ARGV[5], 'x', ARGV[7], 'at', ARGV[12],
  'max', ARGV[8], 'iv', ARGV[9], 'd', ARGV[10])
rc('ZADD', K .. 'cbq:' .. queue, ARGV[5], id)
if tonumber(ARGV[7]) > 0 then
  due_at(ARGV[7], 'e:' .. id)
end
local b = { id = id, queue = queue, node = '', enqueued = ARGV[5] }
if tonumber(ARGV[6]) > now then
  callback_rests(b, ARGV[6])
else
  callback_waits(b, ARGV[11])
end
rc('ZADD', K .. 'qk', 'GT', now, queue)
emit(now, 'callback-added', queue, 'b', id)
return id
