-- include: base agents calls doubt
-- The doubt is over: who waits and who is free find each other, whoever came first before the others. Not in
-- parts, since it comes once after the server began anew and costs what as many freed agents cost.
local function release(now)
  end_doubt()
  local idle = {}
  for _, profile in ipairs(rc('ZRANGE', K .. 'ih:' .. ALWAYS, 0, -1)) do
    local found = rc('ZRANGE', K .. 'i:' .. ALWAYS .. ':' .. profile, 0, -1, 'WITHSCORES')
    for i = 1, #found, 2 do
      idle[#idle + 1] = { tonumber(found[i + 1]), found[i], profile }
    end
  end
  table.sort(idle, function(a, b)
    return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
  end)
  local weights = odd().weights
  for _, agent in ipairs(idle) do
    while rc('ZSCORE', K .. 'i:' .. ALWAYS .. ':' .. agent[3], agent[2]) do
      local fits = fits_now('pc:', 'pr:', agent[3], now, 1)
      local id = next_call(now, agent[2], agent[3], fits, weights)
      drop_fits(fits)
      if not id then
        break
      end
      local c = load_call(id)
      leave_line(c)
      place(now, c)
    end
  end
end

-- This node has said everything again, or is no more.
local function is_settled(now, node)
  if rc('SREM', K .. 'doubt', node) == 1 and rc('EXISTS', K .. 'doubt') == 0 then
    release(now)
  end
end
