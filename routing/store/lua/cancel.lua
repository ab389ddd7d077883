-- include: base calls agents exclusions ending talk
-- The caller is gone, or is to wait there no longer. A reserved agent is free again, in the old place among the idle.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 abandoned or released
-- Returns  1, or 0 where the call is unknown
local now = tonumber(ARGV[1])
local c = load_call(ARGV[2])
if not c then
  return 0
end
if c.state == 'talking' then
  part(now, c)
  return 1
end
forget_exclusions(c.id)
forget_call(c)
if c.state == 'waiting' then
  leave_line(c)
  emit(now, ARGV[3], c.queue, 'c', c.id, 'from', 'waiting')
  return 1
end
not_due('r:' .. c.id)
rc('HINCRBY', K .. 'qs:' .. c.queue, ARGV[3] .. '_offered', 1)
emit(now, ARGV[3], c.queue, 'c', c.id, 'from', 'offered', 'a', c.agent, 'tk', c.token)
local agent = load_agent(c.agent)
set_free(now, agent, agent.idle_since)
return 1
