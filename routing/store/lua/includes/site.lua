-- include: base
-- What is out of the ordinary at this site, in one hash that is mostly empty, so that one look tells: `doubt` while it
-- lasts (includes/doubt.lua), `weights` of queues, 'weight weight ...' (includes/weights.lua), `lent` where agents are
-- (includes/lendings.lua), `own` while calls that agents made wait for them, `orders` of idle agents, 'order order ...' (includes/orders.lua), and `vt`, how far the
-- draws of weighted-random have come.
local oddities

local function odd()
  if not oddities then
    oddities = {}
    local flat = rc('HGETALL', K .. 'odd')
    for i = 1, #flat, 2 do
      oddities[flat[i]] = flat[i + 1]
    end
  end
  return oddities
end

-- Nil takes it away.
local function set_odd(name, value)
  odd()[name] = value
  if value then
    rc('HSET', K .. 'odd', name, value)
  else
    rc('HDEL', K .. 'odd', name)
  end
end
