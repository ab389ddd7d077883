-- include: base events tokens offers
local ALONE = {}

-- One agent, in no idle set, for one call, in no line: the only way into `offered`. `sought` says what was
-- looked for, an agent or a call, and `seen` what was found (includes/match.lua): the reason of the choice.
-- `first` is the token of the first of those who ring together, nil for that one. Returns it.
local function reserve(now, c, agent, sought, seen, first)
  local token = next_token(now)
  local deadline = now + c.ring
  local known = rc('HMGET', K .. 'a:' .. agent, 'un', 'bs')
  local unanswered = known[1] or 0
  local together = ALONE
  c.agent, c.token = agent, token
  keep_offer(c)
  if c.rings > 1 then
    together = { 'g', first or token }
  end
  rc('HSET', K .. 'a:' .. agent, 'st', 'offered', 'since', now, 'c', c.id, 'tk', token, 'lr', now, 'bs', known[2] or now)
  due_at(deadline + RING_GRACE_MS, 'r:' .. c.id)
  rc('ZADD', K .. 'ck', 'GT', now, c.class)
  rc('XADD', K .. 'off:' .. c.node, 'MAXLEN', '~', MESSAGES_KEPT, '*', 'c', c.id, 'a', agent, 't', token,
    'q', c.queue, 'd', deadline, 'u', unanswered, 'y', cjson.encode({ sought, c.class, seen }), unpack(together))
  emit(now, 'offers', c.queue, 'c', c.id, 'a', agent, 'tk', token)
  return first or token
end
