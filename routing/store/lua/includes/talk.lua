-- include: base events exclusions steps targets offers agents
-- A reservation became a conversation. Others who rang for the call are free again, in their old places.
local function begin_talk(now, c)
  local rung = c.rings > 1 and offers_of(c) or {}
  if c.steps ~= '' then
    no_more_steps(c)
    c.steps, c.changed = '', true
  end
  no_more_target(c)
  if c.late ~= '' then
    c.late, c.changed = '', true
  end
  rc('HSET', K .. 'c:' .. c.id, 'st', 'talking', 'a', c.agent, 'tk', c.token, changes(c))
  forget_offers(c)
  rc('HSET', K .. 'a:' .. c.agent, 'st', 'talking', 'since', now, 'un', 0)
  rc('HINCRBY', K .. 'a:' .. c.agent, 'cn', 1)
  local several = rc('HEXISTS', K .. 'a:' .. c.agent, 'cap') == 1 and load_agent(c.agent)
  if several then
    add_talk(several, c.id, c.token)
  end
  not_due('r:' .. c.id)
  forget_exclusions(c.id)
  emit(now, 'answered', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token)
  c.state = 'talking'
  for _, offer in ipairs(rung) do
    if offer[1] ~= c.agent then
      let_go(now, c, offer)
    end
  end
  if several and has_room(several) then
    seek_call(now, several, now)
  end
end
