-- include: base lines idle match own_order calls doubt
-- A queue that lends its agents may have become well: a call left its line, or an agent of its own is free. Those
-- who are lent on its terms then look for a call, as if they had just come free.

-- An idle agent who is lent, and a call, that find each other now; nil where there are none.
local function lent_call(now, terms, weights)
  local profiles = rc('ZINTER', 2, K .. 'ih:' .. ALWAYS, K .. 'lt:' .. terms)
  table.sort(profiles)
  for _, profile in ipairs(profiles) do
    for _, agent in ipairs(rc('ZRANGE', K .. 'i:' .. ALWAYS .. ':' .. profile, 0, -1)) do
      local id = next_call(now, agent, profile, K .. 'pc:' .. profile .. '|' .. terms, weights)
      if id then
        return id
      end
      if rc('EXISTS', K .. 'xa:' .. agent) == 0 then
        break -- Nobody of this profile can take more calls than who has refused none.
      end
    end
  end
end

local function lend(now)
  if not odd().lent or in_doubt() then
    return
  end
  local all_terms = rc('SMEMBERS', K .. 'lr')
  table.sort(all_terms)
  repeat
    local found = false
    for _, terms in ipairs(all_terms) do
      local id = is_well(terms, now, 1) and lent_call(now, terms, odd().weights)
      if id then
        local c = load_call(id)
        leave_line(c)
        place(now, c)
        found = true
      end
    end
  until not found
end
