-- include: base
-- Whether a queue that lends its agents is well (routing.model.Lending). `beside` is 1 where the agent who would be
-- lent stands among the idle, and so does not count.
local function is_well(terms, now, beside)
  local waiting, longest, free, lender = string.match(terms, '^(%d+) (%d+) (%d+) (.*)$')
  if rc('ZCARD', K .. 'qw:' .. lender) > tonumber(waiting) then
    return false
  end
  if longest ~= '0' then
    local oldest = rc('ZRANGE', K .. 'qe:' .. lender, 0, 0, 'WITHSCORES')[2]
    if oldest and now - oldest >= tonumber(longest) then
      return false
    end
  end
  local wanted = tonumber(free)
  if wanted == 0 then
    return true
  end
  wanted = wanted + beside
  local heads, serving = K .. 'ih:longest-idle', K .. 'qp:' .. lender
  local found = 0
  for _, profile in ipairs(rc('ZINTER', 2, heads, serving)) do
    found = found + rc('ZCARD', K .. 'i:longest-idle:' .. profile)
    if found >= wanted then
      return true
    end
  end
  return false
end

-- What fits a class or a profile now, with those who are lent while their queue is well: the key of a sorted set,
-- to be dropped after use (`drop_fits`).
local function fits_now(kind, lent, name, now, beside)
  local keys = { K .. kind .. name }
  for _, terms in ipairs(rc('SMEMBERS', K .. lent .. name)) do
    if is_well(terms, now, beside) then
      keys[#keys + 1] = K .. kind .. name .. '|' .. terms
    end
  end
  if #keys == 1 then
    return keys[1]
  end
  rc('ZUNIONSTORE', K .. 'tmp', #keys, unpack(keys))
  return K .. 'tmp'
end

local function drop_fits(key)
  if key == K .. 'tmp' then
    rc('DEL', key)
  end
end
