-- include: base tickets calls exclusions own_calls
-- Puts a call in its place, or reserves an agent at once. A call that is known stays as it is.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2-17 the ticket (includes/tickets.lua), 18 an agent who has just sent the caller on, or ''
-- Returns  0, or -1 where the class is unknown
local now, c = tonumber(ARGV[1]), ticket()
if rc('EXISTS', K .. 'c:' .. c.id) == 1 then
  return OK
end
if rc('HEXISTS', K .. 'cl', c.class) == 0 or not know_steps(c.steps) then
  return UNKNOWN_CLASS
end
admit(now, c)
if ARGV[18] ~= '' then
  exclude(now, c.id, ARGV[18], REFUSAL_PAUSE_MS, EXCLUSION_MAX_MS)
  c.new = false
end
place(now, c)
return OK
