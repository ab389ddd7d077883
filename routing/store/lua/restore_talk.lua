-- include: base agents calls exclusions talk tickets
-- Puts back a conversation that the store has lost. What the store did with the two meanwhile is undone.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2-14 the ticket (includes/tickets.lua), 15 agent, 16 node of the agent, 17 profile, 18 token
-- Returns  0, -1 or -2 where the class or the profile is unknown, -3 where one of them talks to another
local now, token = tonumber(ARGV[1]), ARGV[18]
local c, agent = load_call(ARGV[2]), load_agent(ARGV[15])
if c and c.state == 'talking' then
  return c.agent == agent.id and c.token == token and OK or STALE_TOKEN
end
if agent.state == 'talking' then
  return STALE_TOKEN
end
if rc('HEXISTS', K .. 'cl', ARGV[4]) == 0 or not know_steps(ARGV[13]) then
  return UNKNOWN_CLASS
end
if rc('HEXISTS', K .. 'pf', ARGV[17]) == 0 then
  return UNKNOWN_PROFILE
end
if c and c.state == 'offered' and c.agent == agent.id and c.token == token then
  begin_talk(now, c)
  return OK
end

local left_call = agent.state == 'offered' and agent.call ~= ARGV[2] and load_call(agent.call)
local left_agent = c and c.state == 'offered' and c.agent ~= agent.id and load_agent(c.agent)
if left_call then
  tell_withdrawn(now, left_call, 'restored')
elseif agent.state == 'available' then
  idle_remove(agent.id, agent.profile)
end
if not c then
  c = ticket()
  admit(now, c)
elseif c.state == 'waiting' then
  leave_line(c)
else
  tell_withdrawn(now, c, 'restored')
end
know(agent)
if agent.profile and agent.profile ~= ARGV[17] then
  sign_out_of(now, agent.id, agent.profile)
end
sign_in_to(now, agent.id, ARGV[17])
if agent.profile ~= ARGV[17] then
  emit(now, 'agent-skills', '', 'a', agent.id, 'p', ARGV[17])
end
if agent.node ~= ARGV[16] then
  emit(now, 'agent-node', '', 'a', agent.id, 'n', ARGV[16])
end
rc('HSET', K .. 'a:' .. agent.id, 'p', ARGV[17], 'n', ARGV[16], 'c', c.id, 'tk', token, 'is', now, 'why', '',
  'lr', now, 'bs', agent.busy_from or now)
rc('HDEL', K .. 'a:' .. agent.id, 'nx', 'nw', 'wq', 'wn', 'wc', 'wu', 'wx')
not_due('a:' .. agent.id)
rc('HSET', K .. 'c:' .. c.id, 'a', agent.id, 'tk', token)
if tonumber(token) > tonumber(rc('GET', K .. 'fence') or '0') then
  rc('SET', K .. 'fence', token)
end
emit(now, 'offers', c.queue, 'c', c.id, 'a', agent.id, 'tk', token)
c.agent, c.token = agent.id, token
begin_talk(now, c)
if left_call then
  requeue(now, left_call)
end
if left_agent then
  set_free(now, left_agent, left_agent.idle_since)
end
return OK
