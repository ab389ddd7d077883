-- include: base events agents calls wrapup
-- An agent who makes a call is in it, and one who is called themselves is rung, whatever they were at: a pause or
-- not-answering follows again, what is left of a wrap-up is owed until the call is over, a rest is over.

-- Out of it, and available for just this call. Returns what follows then: a state and why, or nil.
local function set_aside(now, agent)
  local state, why = agent.next, agent.next_why
  if agent.state == 'wrapup' then
    local v = rc('HMGET', K .. 'a:' .. agent.id, 'wq', 'wn', 'wc', 'wu', 'wx')
    tell_wrapup(now, agent)
    if tonumber(v[4]) > now then
      rc('HSET', K .. 'a:' .. agent.id, 'ow', int(v[4] - now), 'ox', int(math.max(v[4], v[5]) - now),
      'wq', v[1], 'wn', v[2], 'wc', v[3])
    end
  elseif agent.state ~= 'available' then
    state, why = agent.state, agent.why
    sign_in_to(now, agent.id, agent.profile)
    sign_in_to(now, agent.id, agent.profile_in_talk)
    begin_presence(now, agent)
  end
  not_due('a:' .. agent.id)
  set_state(now, agent, 'available', '')
  emit(now, 'agent', '', 'a', agent.id, 'st', 'available')
  return state, why
end

-- Who made this call, where they are at something that they can be taken out of; else nil.
local function maker_aside(c)
  local agent = load_agent(c.named)
  if not agent.profile or agent.state == 'offline' or agent.state == 'offered' or agent.state == 'talking' then
    return nil
  end
  if rc('SISMEMBER', K .. 'x:' .. c.id, agent.id) == 1 or (agent.state == 'available' and is_idle(agent)) then
    return nil
  end
  return agent
end

local function take_out(now, c, agent)
  local state, why = set_aside(now, agent)
  reserve(now, c, agent, 'agent', {})
  if state then
    put_away_later(now, agent, state, why or '')
  end
end

function take_maker(now, c)
  local agent = maker_aside(c)
  if agent then
    take_out(now, c, agent)
  end
  return agent ~= nil
end

-- Agents who were busy when they made their call, and have come to a pause, a wrap-up or a rest since.
local function take_makers(now)
  if not odd().own or in_doubt() then
    return
  end
  for _, member in ipairs(rc('ZRANGE', K .. 'own', 0, -1)) do
    local c = load_call(call_of(member))
    local agent = maker_aside(c)
    if agent then
      leave_line(c)
      take_out(now, c, agent)
    end
  end
end
