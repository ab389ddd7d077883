-- include: base site
-- The weights of queues but 1: `cw` holds that of each class, and what is odd all of them, the least first.
local function list_weights()
  local found, seen = {}, {}
  for _, weight in ipairs(rc('HVALS', K .. 'cw')) do
    if not seen[weight] then
      seen[weight] = true
      found[#found + 1] = tonumber(weight)
    end
  end
  table.sort(found)
  set_odd('weights', #found > 0 and table.concat(found, ' ') or nil)
end

local function use_weight(class, weight)
  if weight ~= '1' then
    rc('HSET', K .. 'cw', class, weight)
    list_weights()
  end
end

local function leave_weight(class)
  if rc('HDEL', K .. 'cw', class) == 1 then
    list_weights()
  end
end
