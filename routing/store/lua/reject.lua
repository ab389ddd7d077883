-- include: base calls agents exclusions ending doubt afterwards own_calls
-- The agent did not take the call, which is kept away from this agent for a while. It keeps its place, and rings on
-- where others are rung for it. Whoever was called themselves goes on with what they were at.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 call, 3 agent, 4 token, 5 reason, 6 state of the agent after and 7 why, 8 rest of the agent,
--          9 how long the call is kept away where nobody else could take it and 10 where others could (ms),
--          11 whether it counts as unanswered (1 or 0)
-- Returns  0, -3 where that reservation is not in force, or -5 where that is in doubt
local now, token, state = tonumber(ARGV[1]), ARGV[4], ARGV[6]
local c = load_call(ARGV[2])
local agent = load_agent(ARGV[3])
if not c or c.state ~= 'offered' or not holds(c, agent.id, token) then
  local said = rc('HMGET', K .. 'a:' .. agent.id, 'lt', 'lk')
  if said[1] == token and said[2] == 'reject' then
    return OK
  end
  return not_in_force()
end
emit(now, 'rejected', c.queue, 'c', c.id, 'a', agent.id, 'tk', token, 'why', ARGV[5], 'un', ARGV[11])
exclude(now, c.id, agent.id, tonumber(ARGV[9]), tonumber(ARGV[10]))
remember(agent.id, token, 'reject', 0)
if ARGV[11] == '1' then
  agent.unanswered = rc('HINCRBY', K .. 'a:' .. agent.id, 'un', 1)
end
if give_back(c) then
  requeue(now, c)
end
local rest = tonumber(ARGV[8])
if state ~= 'available' and not (c.own and (agent.next or agent.owes)) then
  put_away(now, agent, state, ARGV[7])
elseif rest > 0 and agent.talks > 0 then
  back_to_talk(now, agent)
  due_at(now + rest, 'a:' .. agent.id)
elseif rest > 0 and not agent.owes and not agent.next then
  set_state(now, agent, 'available', '')
  emit(now, 'agent', '', 'a', agent.id, 'st', 'available', 'rest', int(rest))
  due_at(now + rest, 'a:' .. agent.id)
else
  set_free(now, agent, now)
end
afterwards(now)
return OK
