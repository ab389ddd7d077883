-- include: base agents idle
local SIGNED_IN = { available = true, offered = true, talking = true, wrapup = true }

-- Other skills or terms than before. Who is free may have a call waiting that fits now; one who rests after a refusal
-- is in no idle set and stays so.
local function take_profile(now, agent, profile, order, weight)
  local old = agent.profile
  if old == profile and agent.terms == order .. ' ' .. weight then
    return
  end
  rc('HSET', K .. 'a:' .. agent.id, 'p', profile, 'od', order, 'wt', weight)
  emit(now, 'agent-skills', '', 'a', agent.id, 'p', profile, 'od', order, 'wt', weight)
  agent.profile = profile
  if not SIGNED_IN[agent.state] then
    return
  end
  if old ~= profile then
    sign_out_of(now, agent.id, old)
    sign_in_to(now, agent.id, profile)
  end
  if agent.state == 'available' and idle_remove(agent.id, old) then
    seek_call(now, agent, agent.idle_since)
  end
end
