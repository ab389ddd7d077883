-- include: base events
-- Forgets a queue that is no longer configured: what was counted and learnt of it.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 queue
-- Returns  1, or 0 where a call came within a day, or is still there, or somebody is to be called
local now, queue = tonumber(ARGV[1]), ARGV[2]
local used = rc('ZSCORE', K .. 'qk', queue)
if not used or tonumber(used) + FORGET_QUEUE_MS > now or rc('EXISTS', K .. 'cbq:' .. queue) == 1 then
  return 0
end
local counted = rc('HMGET', K .. 'qs:' .. queue, 'entered', 'abandoned', 'completed', 'lost', 'released', 'overflowed')
local there = tonumber(counted[1] or '0')
for i = 2, #counted do
  there = there - tonumber(counted[i] or '0')
end
if there > 0 then
  return 0
end
rc('DEL', K .. 'qs:' .. queue, K .. 'hb:' .. queue)
rc('ZREM', K .. 'qk', queue)
emit(now, 'queue-forgotten', '', 'name', queue)
return 1
