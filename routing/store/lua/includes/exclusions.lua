-- include: base
-- Who did not take which call: `x:CALL` set of agents, `xa:AGENT` calls by the time from which they may come again
-- even while others could take them. `x:CALL` falls due when the call may come again though nobody else could.
local function exclude(now, call, agent, retry, longest)
  local of_agent = K .. 'xa:' .. agent
  if rc('ZCARD', of_agent) == EXCLUSIONS_PER_AGENT then
    local next_over = rc('ZPOPMIN', of_agent)[1]
    rc('SREM', K .. 'x:' .. next_over, agent)
    if rc('EXISTS', K .. 'x:' .. next_over) == 0 then
      not_due('x:' .. next_over)
    end
  end
  rc('SADD', K .. 'x:' .. call, agent)
  rc('ZADD', of_agent, int(now + longest), call)
  rc('ZADD', K .. 'due', 'GT', int(now + retry), 'x:' .. call)
end

local function forget_exclusions(call)
  local agents = rc('SMEMBERS', K .. 'x:' .. call)
  if #agents == 0 then
    return
  end
  for _, agent in ipairs(agents) do
    rc('ZREM', K .. 'xa:' .. agent, call)
  end
  rc('DEL', K .. 'x:' .. call)
  not_due('x:' .. call)
end

-- Whether an agent who is signed in and has not refused this call could take it, now or later.
local function others_could(c)
  if c.named ~= '' then
    return false
  end
  local refused = K .. 'x:' .. c.id
  local most = rc('SCARD', refused)
  for _, profile in ipairs(rc('ZRANGE', K .. 'cp:' .. c.class, 0, -1)) do
    local signed_in = K .. 'si:' .. profile
    local count = rc('SCARD', signed_in)
    if count > most or (count > 0 and #rc('SDIFF', signed_in, refused) > 0) then
      return true
    end
  end
  return false
end

-- Lets a call come again to those who did not take it. Returns whether any may have it now.
local function lift_exclusions(now, c)
  if not others_could(c) then
    forget_exclusions(c.id)
    return true
  end
  local lifted, key = false, K .. 'x:' .. c.id
  for _, agent in ipairs(rc('SMEMBERS', key)) do
    if tonumber(rc('ZSCORE', K .. 'xa:' .. agent, c.id)) <= now then
      rc('SREM', key, agent)
      rc('ZREM', K .. 'xa:' .. agent, c.id)
      lifted = true
    end
  end
  if rc('EXISTS', key) == 1 then
    due_at(now + REFUSAL_PAUSE_MS, 'x:' .. c.id)
  end
  return lifted
end
