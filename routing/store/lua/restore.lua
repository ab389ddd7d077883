-- include: base agents calls exclusions talk tickets skills doubt afterwards own_calls
-- Puts back a conversation, or a reservation that is being rung for, which the store has lost. What the store did with
-- the two meanwhile is undone.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2-17 the ticket (includes/tickets.lua), 18 agent, 19 node of the agent, 20 token,
--          21-25 skills and terms (includes/skills.lua), 26 until when it is rung (ms), or '' of a conversation
-- Returns  0, -1 or -2 where the class or the profile is unknown, -3 where one of them talks to another and has no
--          room, or -5 where that is in doubt
local now, node, token, rung_until = tonumber(ARGV[1]), ARGV[19], ARGV[20], ARGV[26]
local rings = rung_until ~= ''
local c, agent = load_call(ARGV[2]), load_agent(ARGV[18])
if c and c.state == 'talking' then
  return c.agent == agent.id and c.token == token and OK or not_in_force()
end
if agent.state == 'talking' and (agent.talks == 0 or agent.talks >= agent.capacity) then
  return not_in_force()
end
if rc('HEXISTS', K .. 'cl', ARGV[4]) == 0 or not know_steps(ARGV[13]) then
  return UNKNOWN_CLASS
end
local skills = skills_at(21)
if not skills then
  return UNKNOWN_PROFILE
end
if c and c.state == 'offered' and holds(c, agent.id, token) then
  if not rings then
    begin_talk(now, c)
    afterwards(now)
  end
  return OK
end

local left_call = agent.state == 'offered' and agent.call ~= ARGV[2] and load_call(agent.call)
local left_agents = {}
if left_call then
  left_call.agent, left_call.token = agent.id, agent.token
  tell_withdrawn(now, left_call, 'restored')
elseif agent.state == 'available' or has_room(agent) then
  idle_remove(agent.id, idle_profile(agent))
end
if not c then
  c = ticket()
  admit(now, c)
elseif c.state == 'waiting' then
  leave_line(c)
elseif not rings or c.rings == 1 then
  for _, offer in ipairs(offers_of(c)) do
    c.agent, c.token = offer[1], offer[2]
    tell_withdrawn(now, c, 'restored')
    if c.agent ~= agent.id then
      left_agents[#left_agents + 1] = load_agent(c.agent)
    end
  end
  forget_offers(c)
elseif agent.state == 'offered' and agent.call == c.id then
  -- Rung for it by another token; others may ring on.
  c.agent, c.token = agent.id, agent.token
  tell_withdrawn(now, c, 'restored')
end
know(agent)
local old, old_in_talk = agent.profile, agent.profile_in_talk
if not SIGNED_IN[agent.state] then
  old, old_in_talk = nil, nil
end
write_skills(now, agent, skills)
move_sign_in(now, agent.id, old, agent.profile)
move_sign_in(now, agent.id, old_in_talk, agent.profile_in_talk)
if agent.node ~= node then
  emit(now, 'agent-node', '', 'a', agent.id, 'n', node)
end
rc('HSET', K .. 'a:' .. agent.id, 'n', node, 'c', c.id, 'tk', token, 'is', now, 'why', '', 'lr', now,
  'bs', agent.busy_from or now)
if agent.talks == 0 then
  owe_nothing(agent)
  rc('HDEL', K .. 'a:' .. agent.id, 'nx', 'nw', 'wq', 'wn', 'wc', 'wu', 'wx')
end
not_due('a:' .. agent.id)
if tonumber(token) > tonumber(rc('GET', K .. 'fence') or '0') then
  rc('SET', K .. 'fence', token)
end
emit(now, 'offers', c.queue, 'c', c.id, 'a', agent.id, 'tk', token)
c.agent, c.token = agent.id, token
-- Back in its place before an agent who has room for one more looks for a call.
if left_call and give_back(left_call) then
  requeue(now, left_call)
end
if rings then
  keep_offer(c)
  rc('HSET', K .. 'a:' .. agent.id, 'st', 'offered', 'since', now)
  due_at(tonumber(rung_until) + RING_GRACE_MS, 'r:' .. c.id)
else
  begin_talk(now, c)
end
for _, left in ipairs(left_agents) do
  set_free(now, left, left.idle_since)
end
afterwards(now)
return OK
