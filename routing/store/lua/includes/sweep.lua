-- include: base tokens orders weights
-- Forgets classes and profiles that nobody has used for long. Returns when to look again, or nil.
local function unused(now, last_used)
  return rc('ZRANGE', K .. last_used, '-inf', now - UNUSED_AFTER_MS, 'BYSCORE', 'LIMIT', 0, SWEEP_BATCH)
end

-- The profiles of those who are paused or not answering: they are signed in with none, and still there.
local function away()
  local profiles = {}
  for _, id in ipairs(rc('SMEMBERS', K .. 'ag')) do
    local v = rc('HMGET', K .. 'a:' .. id, 'st', 'p')
    if v[2] and (v[1] == 'paused' or v[1] == 'not-answering') then
      profiles[v[2]] = true
    end
  end
  return profiles
end

local function sweep_one(now, name, kind, kept)
  if kept[name] or rc('EXISTS', K .. kind.used .. name) == 1 then
    rc('ZADD', K .. kind.last_used, now, name)
    return
  end
  for _, other in ipairs(rc('ZRANGE', K .. kind.mine .. name, 0, -1)) do
    rc('ZREM', K .. kind.others .. other, name)
  end
  rc('DEL', K .. kind.mine .. name)
  leave_order(name)
  leave_weight(name)
  rc('HDEL', K .. kind.definitions, name)
  rc('ZREM', K .. kind.last_used, name)
end

local function sweep(now)
  local kinds = {
    { definitions = 'cl', last_used = 'ck', used = 'w:', mine = 'cp:', others = 'pc:', kept = function()
      return {}
    end },
    { definitions = 'pf', last_used = 'pk', used = 'si:', mine = 'pc:', others = 'cp:', kept = away },
  }
  local swept, full = false, false
  for _, kind in ipairs(kinds) do
    local names = unused(now, kind.last_used)
    local kept = #names > 0 and kind.kept()
    for _, name in ipairs(names) do
      sweep_one(now, name, kind, kept)
      swept = true
    end
    full = full or #names == SWEEP_BATCH
  end
  if swept then
    rc('SET', K .. 'rv', next_token(now))
  end
  if full then
    return now
  end
  if rc('EXISTS', K .. 'cl', K .. 'pf') > 0 then
    return now + SWEEP_EVERY_MS
  end
end
