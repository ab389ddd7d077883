-- include: base agents skills wrapup afterwards
-- Signs an agent in, resumes, or leaves wrap-up early; in a call it forgets what was to come after.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 node, 4-8 skills and terms (includes/skills.lua)
-- Returns  the state that the agent is now in, or -2 where a profile is unknown
local now = tonumber(ARGV[1])
local skills = skills_at(4)
if not skills then
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
take_skills(now, agent, skills)
if was == 'offered' or was == 'talking' then
  if agent.next then
    rc('HDEL', key, 'nx', 'nw')
    emit(now, 'asked', '', 'a', agent.id, 'st', 'available', 'why', '')
    agent.next = nil
    if has_room(agent) then
      seek_call(now, agent, now)
    end
  end
  afterwards(now)
  return agent.state
end
if was == 'available' then
  afterwards(now)
  return agent.state
end
if was == 'wrapup' then
  tell_wrapup(now, agent)
elseif not SIGNED_IN[was] then
  sign_in_to(now, agent.id, agent.profile)
  sign_in_to(now, agent.id, agent.profile_in_talk)
  begin_presence(now, agent)
end
if was == 'offline' or was == 'wrapup' then
  not_due('a:' .. agent.id)
end
set_free(now, agent, now)
afterwards(now)
return agent.state
