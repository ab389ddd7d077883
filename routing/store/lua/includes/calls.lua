-- include: base events lines idle match reserve steps targets offers doubt tickets
-- Whether a call for one agent should wait no longer for just that one: away, or did not take it.
local function give_up_named(c)
  if c.named == '' or c.steps == '' then
    return false
  end
  local state = rc('HGET', K .. 'a:' .. c.named, 'st')
  return not state or state == 'offline' or state == 'paused' or state == 'not-answering'
    or rc('SISMEMBER', K .. 'x:' .. c.id, c.named) == 1
end

-- Takes the agent who made the call out of a pause, a wrap-up or a rest (includes/own_calls.lua). Returns whether they
-- are reserved.
local take_maker

local function wait_in_line(c)
  enter_line(c)
  rc('HSET', K .. 'c:' .. c.id, 'st', 'waiting', changes(c))
end

-- A call that is in no line gets its agent, or as many as ring for it together, or else its place.
local function place(now, c)
  if in_doubt() then
    wait_in_line(c)
    return
  end
  if c.own and take_maker(now, c) then
    return
  end
  if give_up_named(c) then
    take_steps(now, c)
  end
  local first, left = nil, c.rings
  while left > 0 do
    local agent, profile, score, seen = best_agent(now, c)
    if not agent then
      break
    end
    idle_remove(agent, profile)
    if c.order == 'weighted-random' and score then
      -- What was drawn is past: whoever becomes idle draws from here on.
      set_odd('vt', int(math.max(score, tonumber(odd().vt or '0'))))
    end
    local v = rc('HMGET', K .. 'a:' .. agent, 'un', 'bs')
    local found = { id = agent, unanswered = tonumber(v[1] or '0'), busy_from = v[2] }
    first = reserve(now, c, found, 'agent', seen, first)
    left = left - 1
  end
  if not first then
    wait_in_line(c)
  end
end

-- The last reservation is over and the caller is still there.
local function requeue(now, c)
  rc('HDEL', K .. 'c:' .. c.id, 'a', 'tk')
  not_due('r:' .. c.id)
  place(now, c)
end

local function tell_withdrawn(now, c, why)
  rc('XADD', K .. 'off:' .. c.node, 'MAXLEN', '~', MESSAGES_KEPT, '*', 'c', c.id, 'a', c.agent, 't', c.token)
  emit(now, 'withdrawn', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token, 'why', why)
end

local function forget_call(c)
  no_more_steps(c)
  no_more_target(c)
  forget_offers(c)
  rc('DEL', K .. 'c:' .. c.id)
  rc('SREM', K .. 'nc:' .. c.node, c.id)
end
