-- include: base events lines idle match reserve
local function load_call(id)
  local v = rc('HMGET', K .. 'c:' .. id, 'st', 'n', 'k', 'g', 'q', 'm', 's', 'r', 'w', 'a', 'tk')
  if not v[1] then
    return nil
  end
  return {
    id = id, state = v[1], node = v[2], class = v[3], named = v[4], queue = v[5], member = v[6],
    score = v[7], ring = tonumber(v[8]), wrapup = tonumber(v[9]), agent = v[10], token = v[11],
  }
end

-- A call that is in no line gets its agent, or else its place.
local function place(now, c)
  local agent, profile = best_agent(c)
  if agent then
    idle_remove(agent, profile)
    reserve(now, c, agent)
  else
    enter_line(c)
  end
end

-- The reservation is over and the caller is still there.
local function requeue(now, c)
  local key = K .. 'c:' .. c.id
  rc('HSET', key, 'st', 'waiting')
  rc('HDEL', key, 'a', 'tk')
  not_due('r:' .. c.id)
  place(now, c)
end

local function tell_withdrawn(now, c, why)
  rc('XADD', K .. 'off:' .. c.node, 'MAXLEN', '~', MESSAGES_KEPT, '*', 'c', c.id, 'a', c.agent, 't', c.token)
  emit(now, 'withdrawn', c.queue, 'c', c.id, 'a', c.agent, 'tk', c.token, 'why', why)
end

local function forget_call(c)
  rc('DEL', K .. 'c:' .. c.id)
  rc('SREM', K .. 'nc:' .. c.node, c.id)
end
