-- include: base agents calls wrapup own_calls
-- Pauses an agent, signs out, or sets not-answering. While talking, or in a call of their own, it is kept for after
-- the wrap-up.
-- An open offer is withdrawn; its call goes back to its place, or rings on where others are rung for it.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 agent, 3 state, 4 reason
-- Returns  the state that the agent is now in
local now, state, why = tonumber(ARGV[1]), ARGV[3], ARGV[4]
local agent = load_agent(ARGV[2])
if agent.state == 'offline' and state ~= 'paused' then
  return 'offline'
end
if agent.state == state and agent.why == why then
  return state
end
know(agent)
if agent.state == 'offline' then
  rc('HDEL', K .. 'a:' .. agent.id, 'si')
end
local rung = agent.state == 'offered' and load_call(agent.call)
if agent.state == 'talking' or (rung and rung.own) then
  if has_room(agent) then
    idle_remove(agent.id, agent.profile_in_talk)
  end
  if agent.next ~= state or agent.next_why ~= why then
    put_away_later(now, agent, state, why)
  end
  return agent.state
end
if agent.state == 'available' then
  idle_remove(agent.id, agent.profile)
elseif agent.state == 'wrapup' then
  tell_wrapup(now, agent)
end
if rung then
  rung.agent, rung.token = agent.id, agent.token
  tell_withdrawn(now, rung, 'agent-away')
  put_away(now, agent, state, why)
  if give_back(rung) then
    requeue(now, rung)
  end
else
  put_away(now, agent, state, why)
end
take_makers(now)
return rc('HGET', K .. 'a:' .. agent.id, 'st')
