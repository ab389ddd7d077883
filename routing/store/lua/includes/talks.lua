-- include: base events
-- Agents who may have several conversations at a time (`cap` above 1 in the agent's hash, `ld` how many there are):
-- `at:AGENT` holds their calls by token. One who talks and has room is idle under a profile of its own, `pb`, which
-- ranks behind those of agents without a conversation. An agent is rung for one call at a time, and a wrap-up that is
-- owed (`ow`) begins when the last conversation is over; until then there are no further calls.

local function idle_profile(agent)
  return agent.talks > 0 and agent.profile_in_talk or agent.profile
end

local function is_idle(agent)
  return rc('ZSCORE', K .. 'i:longest-idle:' .. idle_profile(agent), agent.id)
end

-- Whether an agent who talks may be rung for one more call.
local function has_room(agent)
  return agent.state == 'talking' and agent.talks > 0 and agent.talks < agent.capacity
    and not agent.next and not agent.owes
end

local function newest_talk(agent)
  local newest = rc('ZRANGE', K .. 'at:' .. agent, -1, -1, 'WITHSCORES')
  return newest[1], int(tonumber(newest[2]))
end

local function go_on_with_newest(agent)
  agent.call, agent.token = newest_talk(agent.id)
  rc('HSET', K .. 'a:' .. agent.id, 'c', agent.call, 'tk', agent.token)
  return agent.call
end

-- Counts a conversation that began; only for those who may have several.
local function add_talk(agent, call, token)
  rc('ZADD', K .. 'at:' .. agent.id, token, call)
  agent.talks = rc('ZCARD', K .. 'at:' .. agent.id)
  rc('HSET', K .. 'a:' .. agent.id, 'ld', agent.talks)
end

-- One is over. Others may go on.
local function remove_talk(agent, call)
  if agent.talks > 0 and rc('ZREM', K .. 'at:' .. agent.id, call) == 1 then
    agent.talks = agent.talks - 1
    rc('HSET', K .. 'a:' .. agent.id, 'ld', agent.talks)
  end
end

local function owe_nothing(agent)
  if agent.owes then
    rc('HDEL', K .. 'a:' .. agent.id, 'ow', 'ox', 'wq', 'wn', 'wc')
    agent.owes = nil
  end
end

-- The longest of those that are owed is taken.
local function owe_wrapup(agent, c)
  if c.wrapup > tonumber(agent.owes or '0') then
    agent.owes = tostring(c.wrapup)
    rc('HSET', K .. 'a:' .. agent.id, 'ow', c.wrapup, 'ox', c.wrapup_limit, 'wq', c.queue, 'wn', c.node, 'wc', c.id)
  end
end

-- Returns when it ends.
local function begin_wrapup(now, agent, length, limit, queue, node, call)
  local key = K .. 'a:' .. agent.id
  rc('HSET', key, 'st', 'wrapup', 'since', now, 'wq', queue, 'wn', node, 'wc', call, 'wu', now + length, 'wx', now + limit)
  rc('HDEL', key, 'c', 'tk')
  due_at(now + length, 'a:' .. agent.id)
  agent.state = 'wrapup'
  return now + length
end

-- After a phone that rang while the last conversation ended.
local function begin_owed_wrapup(now, agent)
  local v = rc('HMGET', K .. 'a:' .. agent.id, 'ox', 'wq', 'wn', 'wc')
  local length = tonumber(agent.owes)
  rc('HDEL', K .. 'a:' .. agent.id, 'ow', 'ox')
  agent.owes = nil
  emit(now, 'wraps', '', 'a', agent.id, 'w', length)
  return begin_wrapup(now, agent, length, tonumber(v[1]), v[2], v[3], v[4])
end
