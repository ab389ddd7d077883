-- include: base agents wrapup afterwards
-- The agent is done before the time; what was asked for meanwhile follows, as at the end of the time.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent
-- Returns  the state that the agent is now in
local now, agent = tonumber(ARGV[1]), load_agent(ARGV[2])
if agent.state == 'wrapup' then
  tell_wrapup(now, agent)
  not_due('a:' .. agent.id)
  go_on(now, agent)
  afterwards(now)
end
return agent.state
