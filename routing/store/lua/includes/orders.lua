-- include: base site idle
local function list_orders()
  local found = rc('HKEYS', K .. 'or')
  table.sort(found)
  set_odd('orders', #found > 0 and table.concat(found, ' ') or nil)
end

-- An order comes into use with its first class: the idle agents are put into it, once. `co` holds the
-- order of each class that has one of its own.
local function use_order(class, order)
  if order == ALWAYS then
    return
  end
  rc('HSET', K .. 'co', class, order)
  if rc('HINCRBY', K .. 'or', order, 1) > 1 then
    return
  end
  list_orders()
  for _, profile in ipairs(rc('ZRANGE', K .. 'ih:' .. ALWAYS, 0, -1)) do
    for _, agent in ipairs(rc('ZRANGE', K .. 'i:' .. ALWAYS .. ':' .. profile, 0, -1)) do
      add_to(order, agent, profile, score_by[order](idle_facts(agent)))
    end
  end
end

local function leave_order(class)
  local order = rc('HGET', K .. 'co', class)
  if not order then
    return
  end
  rc('HDEL', K .. 'co', class)
  if rc('HINCRBY', K .. 'or', order, -1) > 0 then
    return
  end
  rc('HDEL', K .. 'or', order)
  list_orders()
  for _, profile in ipairs(rc('ZRANGE', K .. 'ih:' .. order, 0, -1)) do
    rc('DEL', K .. 'i:' .. order .. ':' .. profile)
  end
  rc('DEL', K .. 'ih:' .. order)
end
