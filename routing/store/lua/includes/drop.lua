-- include: base events lines agents calls exclusions
-- Gives up calls whose node is gone. Those in line go first, so that no agent set free here is
-- reserved for one of them. Returns the ids; at most DROP_BATCH, and whether that was all.
local function drop_waiting(now, c)
  leave_line(c)
  forget_exclusions(c.id)
  forget_call(c)
  emit(now, 'lost', c.queue, 'c', c.id, 'n', c.node, 'from', 'waiting')
end

local function drop_reserved(now, c)
  local held = offers_of(c)
  local agent = load_agent(held[1][1])
  if has_room(agent) then
    idle_remove(agent.id, agent.profile_in_talk)
  end
  remove_talk(agent, c.id)
  not_due('r:' .. c.id)
  forget_exclusions(c.id)
  forget_call(c)
  rc('HINCRBY', K .. 'qs:' .. c.queue, 'lost_' .. c.state, 1)
  emit(now, 'lost', c.queue, 'c', c.id, 'n', c.node, 'from', c.state, 'a', agent.id, 'tk', held[1][2])
  if c.state == 'talking' and agent.state == 'offered' then
    -- Their phone rings for another call meanwhile, and goes on to.
  elseif c.state == 'talking' and agent.next and agent.talks == 0 then
    put_away(now, agent, agent.next, agent.next_why or '')
  else
    set_free(now, agent, c.state == 'offered' and agent.idle_since or now)
  end
  for i = 2, #held do
    let_go(now, c, held[i])
  end
end

local function drop_calls(now, node)
  local dropped, reserved = {}, {}
  for _, id in ipairs(rc('SMEMBERS', K .. 'nc:' .. node)) do
    if #dropped == DROP_BATCH then
      return dropped, false
    end
    local c = load_call(id)
    if c.state == 'waiting' then
      drop_waiting(now, c)
      dropped[#dropped + 1] = id
    else
      reserved[#reserved + 1] = id
    end
  end
  table.sort(reserved)
  for _, id in ipairs(reserved) do
    if #dropped == DROP_BATCH then
      return dropped, false
    end
    drop_reserved(now, load_call(id))
    dropped[#dropped + 1] = id
  end
  return dropped, true
end
