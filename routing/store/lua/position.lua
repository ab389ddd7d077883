-- include: base lines
-- KEYS[1]  prefix of the site
-- ARGV     1 call
-- Returns  {place from 1, waiting in the queue}, or nil where the call neither waits nor is offered
local v = rc('HMGET', K .. 'c:' .. ARGV[1], 'st', 'q', 'm', 's')
if not v[1] or v[1] == 'talking' then
  return false
end
local line = K .. 'qw:' .. v[2]
if v[1] == 'waiting' then
  return { rc('ZRANK', line, v[3]) + 1, rc('ZCARD', line) }
end
-- Offered: out of the line, to come back to the same place.
return { rc('ZCOUNT', line, '-inf', '(' .. v[4]) + 1, rc('ZCARD', line) + 1 }
