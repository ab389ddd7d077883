-- include: base agents skills afterwards
-- An agent's skills changed. The state stays, except that a free agent may be given a call.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3-7 skills and terms (includes/skills.lua)
-- Returns  the state that the agent is now in, or -2 where a profile is unknown
local skills = skills_at(3)
if not skills then
  return UNKNOWN_PROFILE
end
local agent = load_agent(ARGV[2])
if agent.state ~= 'offline' then
  take_skills(tonumber(ARGV[1]), agent, skills)
  afterwards(tonumber(ARGV[1]))
end
return agent.state
