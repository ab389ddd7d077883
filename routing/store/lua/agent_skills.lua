-- include: base agents skills
-- An agent's skills changed. The state stays, except that a free agent may be given a call.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 profile, 4 place in the fixed order, 5 weight
-- Returns  the state that the agent is now in, or -2 where the profile is unknown
if rc('HEXISTS', K .. 'pf', ARGV[3]) == 0 then
  return UNKNOWN_PROFILE
end
local agent = load_agent(ARGV[2])
if agent.state ~= 'offline' then
  take_profile(tonumber(ARGV[1]), agent, ARGV[3], ARGV[4], ARGV[5])
end
return agent.state
