-- include: base lines
-- KEYS[1]  prefix of the site
-- ARGV     1 queue, 2 width of one priority in the score
-- Returns  {waiting, enqueue time of the longest waiting or '', counters as name, value, ..., callbacks}
local line, width = K .. 'qw:' .. ARGV[1], tonumber(ARGV[2])
local oldest, from = nil, '-inf'
while true do
  -- Within a priority the line is by time, so the first of each is its oldest.
  local first = rc('ZRANGE', line, from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if not first[1] then
    break
  end
  local priority = math.floor(tonumber(first[2]) / width)
  oldest = math.min(oldest or width, tonumber(rc('HGET', K .. 'c:' .. call_of(first[1]), 'e')))
  from = int((priority + 1) * width)
end
return { rc('ZCARD', line), oldest and int(oldest) or '', rc('HGETALL', K .. 'qs:' .. ARGV[1]),
  rc('ZCARD', K .. 'cbq:' .. ARGV[1]) }
