-- include: base
-- KEYS[1]  prefix of the site
-- ARGV     1 queue
-- Returns  {waiting, enqueue time of the longest waiting or '', counters as name, value, ..., callbacks}
local oldest = rc('ZRANGE', K .. 'qe:' .. ARGV[1], 0, 0, 'WITHSCORES')[2]
return { rc('ZCARD', K .. 'qw:' .. ARGV[1]), oldest or '', rc('HGETALL', K .. 'qs:' .. ARGV[1]),
  rc('ZCARD', K .. 'cbq:' .. ARGV[1]) }
