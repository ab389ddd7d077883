-- include: base events agents calls
-- The last word about a reservation is kept with the agent, so that saying it again changes nothing.
local function remember(agent, token, word, wrapup_until)
  rc('HSET', K .. 'a:' .. agent, 'lt', token, 'lk', word, 'lw', wrapup_until)
end

-- The same of an agent who may have several conversations: what is to wrap up is owed until the last is over.
local function part_from_one(now, agent, c)
  local was_idle = has_room(agent) and idle_remove(agent.id, agent.profile_in_talk)
  local could = has_room(agent)
  remove_talk(agent, c.id)
  owe_wrapup(agent, c)
  local on = agent.state == 'talking' and agent.talks > 0 and go_on_with_newest(agent) or ''
  emit(now, 'completed', c.queue, 'c', c.id, 'a', agent.id, 'tk', c.token, 'w', 0, 'wx', c.wrapup_limit, 'on', on)
  if agent.state == 'offered' then
    return 0
  end
  if agent.talks > 0 then
    if has_room(agent) and (was_idle or not could) then
      seek_call(now, agent, was_idle and agent.idle_since or now)
    end
    return 0
  end
  if agent.owes then
    return begin_owed_wrapup(now, agent)
  end
  go_on(now, agent)
  return 0
end

-- The two have parted. Returns the deadline of the wrap-up, 0 without one.
local function part(now, c)
  local agent = load_agent(c.agent)
  local wrapup_until = 0
  forget_call(c)
  if agent.talks > 0 then
    wrapup_until = part_from_one(now, agent, c)
  elseif agent.owes then
    emit(now, 'completed', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token, 'w', 0, 'wx', c.wrapup_limit)
    owe_wrapup(agent, c)
    wrapup_until = begin_owed_wrapup(now, agent)
  else
    emit(now, 'completed', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token, 'w', c.wrapup, 'wx', c.wrapup_limit)
    if c.wrapup > 0 then
      wrapup_until = begin_wrapup(now, agent, c.wrapup, c.wrapup_limit, c.queue, c.node, c.id)
    else
      go_on(now, agent)
    end
  end
  remember(c.agent, c.token, 'done', wrapup_until)
  return wrapup_until
end
