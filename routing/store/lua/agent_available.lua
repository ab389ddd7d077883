-- include: base agents
-- Signs an agent in, resumes, or leaves wrap-up early; in a call it forgets what was to come after.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 node, 4 profile
-- Returns  the state that the agent is now in, or -2 where the profile is unknown
local now, profile = tonumber(ARGV[1]), ARGV[4]
if rc('HEXISTS', K .. 'pf', profile) == 0 then
  return UNKNOWN_PROFILE
end
local agent = load_agent(ARGV[2])
local key = K .. 'a:' .. agent.id
local old = agent.profile
if old ~= profile or agent.node ~= ARGV[3] then
  rc('HSET', key, 'p', profile, 'n', ARGV[3])
end
agent.profile = profile
local signed_in = agent.state == 'available' or agent.state == 'offered' or agent.state == 'talking'
  or agent.state == 'wrapup'
if old ~= profile or not signed_in then
  if old and old ~= profile then
    sign_out_of(now, agent.id, old)
  end
  sign_in_to(now, agent.id, profile)
end
if agent.state == 'offered' or agent.state == 'talking' then
  rc('HDEL', key, 'nx', 'nw')
  return agent.state
end
if agent.state == 'available' then
  -- With other skills there may be a call. One who rests after a refusal is in no idle set and stays so.
  if old ~= profile and idle_remove(agent.id, old) then
    seek_call(now, agent, agent.idle_since)
  end
  return agent.state
end
not_due('a:' .. agent.id)
rc('HSET', key, 'un', 0)
set_free(now, agent, now)
return agent.state
