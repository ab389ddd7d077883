-- include: base call_text
-- The reservations of a call. One that rings a single agent has agent and token in its own hash; of one that rings
-- several, `o:CALL` holds each agent with the token until one of them has it.

-- Those in force, as {agent, token}, in the order in which they were made.
local function offers_of(c)
  if c.rings == 1 or c.state == 'talking' then
    return { { c.agent, c.token } }
  end
  local flat, found = rc('HGETALL', K .. 'o:' .. c.id), {}
  for i = 1, #flat, 2 do
    found[#found + 1] = { flat[i], flat[i + 1] }
  end
  table.sort(found, function(a, b) return tonumber(a[2]) < tonumber(b[2]) end)
  return found
end

-- Whether the agent is reserved for the call by this token; then they are the call's agent and token.
local function holds(c, agent, token)
  if c.rings > 1 and c.state == 'offered' then
    if rc('HGET', K .. 'o:' .. c.id, agent) ~= token then
      return false
    end
    c.agent, c.token = agent, token
    return true
  end
  return c.agent == agent and c.token == token
end

-- The call's agent is reserved by the call's token.
local function keep_offer(c)
  if c.rings == 1 then
    rc('HSET', K .. 'c:' .. c.id, 'st', 'offered', 'a', c.agent, 'tk', c.token, changes(c))
  else
    rc('HSET', K .. 'c:' .. c.id, 'st', 'offered', changes(c))
    rc('HSET', K .. 'o:' .. c.id, c.agent, c.token)
  end
end

-- The reservation of the call's agent is over. Returns whether it was the last.
local function give_back(c)
  if c.rings == 1 then
    return true
  end
  rc('HDEL', K .. 'o:' .. c.id, c.agent)
  return rc('EXISTS', K .. 'o:' .. c.id) == 0
end

local function forget_offers(c)
  if c.rings > 1 then
    rc('DEL', K .. 'o:' .. c.id)
  end
end
