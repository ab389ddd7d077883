-- include: base events tokens offers
-- One agent, in no idle set, for one call, in no line: the only way into `offered`. `sought` says what was
-- looked for, an agent or a call, and `seen` what was found (includes/match.lua): the reason of the choice.
-- `first` is the token of the first of those who ring together, nil for that one. Returns it.
local function reserve(now, c, agent, sought, seen, first)
  local token = next_token(now)
  local deadline = now + c.ring
  local more = { 'y', sought .. ' ' .. c.class, 's', cjson.encode(seen) }
  if c.rings > 1 then
    more[#more + 1] = 'g'
    more[#more + 1] = first or token
  end
  c.agent, c.token = agent.id, token
  keep_offer(c)
  rc('HSET', K .. 'a:' .. agent.id, 'st', 'offered', 'since', now, 'c', c.id, 'tk', token, 'lr', now,
    'bs', agent.busy_from or now, unpack(agent.later or {}))
  agent.later = nil
  due_at(deadline + RING_GRACE_MS, 'r:' .. c.id)
  rc('ZADD', K .. 'ck', 'GT', now, c.class)
  rc('XADD', K .. 'off:' .. c.node, 'MAXLEN', '~', MESSAGES_KEPT, '*', 'c', c.id, 'a', agent.id, 't', token,
    'q', c.queue, 'd', deadline, 'u', agent.unanswered, unpack(more))
  emit(now, 'offers', c.queue, 'c', c.id, 'a', agent.id, 'tk', token)
  return first or token
end
