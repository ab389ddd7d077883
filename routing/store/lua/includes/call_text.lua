-- include: base idle
-- The hash of a call: `st`, with one agent `a` and `tk`, and all that is known of it besides, as one text `is`. What most
-- calls do not have is left out of that.
local function unless(usual, value)
  if value ~= usual then
    return value
  end
end

-- As names and values of the hash, where `changed` says that it was written otherwise, or not yet.
local function changes(c)
  if not c.changed then
    return
  end
  c.changed = nil
  return 'is', cjson.encode({
    node = c.node, class = c.class, queue = c.queue, member = c.member, score = c.score, ring = c.ring, enqueued = c.enqueued,
    named = unless('', c.named), wrapup = unless(0, c.wrapup), wrapup_limit = unless(0, c.wrapup_limit),
    order = unless(ALWAYS, c.order), steps = unless('', c.steps), rings = unless(1, c.rings), own = unless(false, c.own),
    late = unless('', c.late), weight = unless(1, c.weight),
  })
end

local function write_changes(c)
  rc('HSET', K .. 'c:' .. c.id, changes(c))
end

local function load_call(id)
  local v = rc('HMGET', K .. 'c:' .. id, 'st', 'is', 'a', 'tk')
  if not v[1] then
    return nil
  end
  local c = cjson.decode(v[2])
  c.id, c.state, c.agent, c.token = id, v[1], v[3], v[4]
  c.named, c.wrapup, c.wrapup_limit = c.named or '', c.wrapup or 0, c.wrapup_limit or 0
  c.order, c.steps, c.rings, c.own = c.order or ALWAYS, c.steps or '', c.rings or 1, c.own or false
  c.late, c.weight = c.late or '', c.weight or 1
  return c
end
