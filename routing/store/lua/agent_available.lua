-- include: base agents skills wrapup
-- Signs an agent in, resumes, or leaves wrap-up early; in a call it forgets what was to come after.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 node, 4 profile, 5 place in the fixed order, 6 weight
-- Returns  the state that the agent is now in, or -2 where the profile is unknown
local now, profile = tonumber(ARGV[1]), ARGV[4]
if rc('HEXISTS', K .. 'pf', profile) == 0 then
  return UNKNOWN_PROFILE
end
local agent = load_agent(ARGV[2])
local key = K .. 'a:' .. agent.id
know(agent)
if agent.node ~= ARGV[3] then
  rc('HSET', key, 'n', ARGV[3])
  emit(now, 'agent-node', '', 'a', agent.id, 'n', ARGV[3])
end
local was = agent.state
take_profile(now, agent, profile, ARGV[5], ARGV[6])
if was == 'offered' or was == 'talking' then
  if agent.next then
    rc('HDEL', key, 'nx', 'nw')
    emit(now, 'asked', '', 'a', agent.id, 'st', 'available', 'why', '')
  end
  return was
end
if was == 'available' then
  return agent.state
end
if was == 'wrapup' then
  tell_wrapup(now, agent)
elseif not SIGNED_IN[was] then
  sign_in_to(now, agent.id, profile)
  begin_presence(now, agent)
end
not_due('a:' .. agent.id)
rc('HSET', key, 'un', 0)
set_free(now, agent, now)
return agent.state
