-- include: base events
-- Callers who hung up and are to be called. `cb:ID` holds one; `cbq:Q` those of a queue by age, `cbn:Q` number to
-- ID where a number may have one only, `nb:NODE` those that a node looks after, `cbf` those that none does by age.
-- `st` is waiting, resting (until `b:ID` falls due) or making; `cbx` remembers which have ended.
local CALLBACK_FIELDS = { 'st', 'q', 'num', 'n', 'e', 'x', 'at', 'max', 'iv' }

local function load_callback(id)
  local v = rc('HMGET', K .. 'cb:' .. id, unpack(CALLBACK_FIELDS))
  if not v[1] then
    return nil
  end
  return {
    id = id, state = v[1], queue = v[2], number = v[3], node = v[4], enqueued = v[5], expires = tonumber(v[6]),
    attempts = tonumber(v[7]), most = tonumber(v[8]), interval = tonumber(v[9]),
  }
end

local function own_callback(b, node)
  rc('ZREM', K .. 'cbf', b.id)
  if b.node ~= '' then
    rc('SREM', K .. 'nb:' .. b.node, b.id)
  end
  if node ~= '' then
    rc('SADD', K .. 'nb:' .. node, b.id)
  end
  rc('HSET', K .. 'cb:' .. b.id, 'n', node)
  b.node = node
end

local function callback_waits(b, node)
  rc('HSET', K .. 'cb:' .. b.id, 'st', 'waiting')
  own_callback(b, node)
  if node == '' then
    rc('ZADD', K .. 'cbf', b.enqueued, b.id)
  end
end

local function callback_rests(b, until_ms)
  rc('HSET', K .. 'cb:' .. b.id, 'st', 'resting')
  own_callback(b, '')
  due_at(int(until_ms), 'b:' .. b.id)
end

local function remember_ended(now, id)
  rc('ZADD', K .. 'cbx', 'NX', now, id)
  rc('ZREMRANGEBYRANK', K .. 'cbx', 0, -CALLBACKS_REMEMBERED - 1)
end

-- The only way out, once: done, failed, cancelled or expired.
local function end_callback(now, b, how)
  own_callback(b, '')
  rc('DEL', K .. 'cb:' .. b.id)
  rc('ZREM', K .. 'cbq:' .. b.queue, b.id)
  if b.number ~= '' then
    rc('HDEL', K .. 'cbn:' .. b.queue, b.number)
  end
  not_due('b:' .. b.id)
  not_due('e:' .. b.id)
  remember_ended(now, b.id)
  emit(now, 'callback-' .. how, b.queue, 'b', b.id, 'at', b.attempts)
end

-- Somebody else than the owner ended it.
local function tell_callback_over(b, how)
  if b.node ~= '' then
    rc('XADD', K .. 'off:' .. b.node, 'MAXLEN', '~', MESSAGES_KEPT, '*', 'b', b.id, 'how', how)
  end
end

-- The customer is called, for the n-th time.
local function attempt_begins(now, b, n)
  b.state, b.attempts = 'making', n
  rc('HSET', K .. 'cb:' .. b.id, 'st', b.state, 'at', n)
  emit(now, 'callback-attempts', b.queue, 'b', b.id, 'at', n)
end

-- A node speaks of its n-th attempt, which may have been forgotten here: whether it is under way there.
local function attempt_stands(now, b, node, n)
  if n > b.attempts and n <= b.most then
    if b.node ~= node then
      tell_callback_over(b, 'taken')
      own_callback(b, node)
    end
    not_due('b:' .. b.id)
    attempt_begins(now, b, n)
  end
  return b.state == 'making' and b.node == node and b.attempts == n
end

-- An attempt came to nothing. Returns what becomes of it: resting, failed or expired.
local function attempt_failed(now, b, why)
  emit(now, 'callback-unreached', b.queue, 'b', b.id, 'at', b.attempts, 'why', why)
  if b.attempts >= b.most then
    end_callback(now, b, 'failed')
    return 'failed'
  end
  if b.expires > 0 and b.expires <= now then
    end_callback(now, b, 'expired')
    return 'expired'
  end
  callback_rests(b, now + b.interval)
  return 'resting'
end

-- The node that looked after them is gone: others may; an attempt that was under way counts.
local function drop_callbacks(now, node)
  local ids = rc('SMEMBERS', K .. 'nb:' .. node)
  table.sort(ids)
  for i, id in ipairs(ids) do
    if i > DROP_BATCH then
      return false
    end
    local b = load_callback(id)
    if b.state == 'making' then
      attempt_failed(now, b, 'node-died')
    else
      callback_waits(b, '')
    end
  end
  return true
end
