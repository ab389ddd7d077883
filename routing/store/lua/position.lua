-- include: base call_text
-- KEYS[1]  prefix of the site
-- ARGV     1 call
-- Returns  {place from 1, waiting in the queue}, or nil where the call neither waits nor is offered
local c = load_call(ARGV[1])
if not c or c.state == 'talking' then
  return false
end
local line = K .. 'qw:' .. c.queue
if c.state == 'waiting' then
  return { rc('ZRANK', line, c.member) + 1, rc('ZCARD', line) }
end
-- Offered: out of the line, to come back to the same place.
return { rc('ZCOUNT', line, '-inf', '(' .. c.score) + 1, rc('ZCARD', line) + 1 }
