-- include: base calls agents exclusions ending talk afterwards
-- The caller is gone, or is to wait there no longer. Reserved agents are free again, in their old places among the idle.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 abandoned, released or overflowed
-- Returns  1, or 0 where the call is unknown
local now = tonumber(ARGV[1])
local c = load_call(ARGV[2])
if not c then
  return 0
end
if c.state == 'talking' then
  part(now, c)
  afterwards(now)
  return 1
end
local held = c.state == 'offered' and offers_of(c)
forget_exclusions(c.id)
forget_call(c)
if c.state == 'waiting' then
  leave_line(c)
  emit(now, ARGV[3], c.queue, 'c', c.id, 'from', 'waiting')
  afterwards(now)
  return 1
end
not_due('r:' .. c.id)
rc('HINCRBY', K .. 'qs:' .. c.queue, ARGV[3] .. '_offered', 1)
emit(now, ARGV[3], c.queue, 'c', c.id, 'from', 'offered', 'a', held[1][1], 'tk', held[1][2])
local agent = load_agent(held[1][1])
set_free(now, agent, agent.idle_since)
for i = 2, #held do
  let_go(now, c, held[i])
end
afterwards(now)
return 1
