-- include: base site
-- Who is lent on which terms ('waiting wait free lender', routing.requirement.lending_terms). Where a class and a profile
-- fit on terms only, they stand in `cp:CLASS|TERMS` and `pc:PROFILE|TERMS` instead; `cr:CLASS` and `pr:PROFILE` hold the
-- terms of each, `lt:TERMS` the profiles, `lr` all terms. `qp:Q` holds the profiles that serve a queue by name, not lent.
local function fits_key(kind, name, terms)
  if terms == '' then
    return K .. kind .. name
  end
  return K .. kind .. name .. '|' .. terms
end

local function know_terms(kind, name, other, terms)
  rc('SADD', K .. kind.lent .. name, terms)
  rc('SADD', K .. kind.lent_others .. other, terms)
  rc('SADD', K .. 'lt:' .. terms, kind.lent == 'pr:' and name or other)
  rc('SADD', K .. 'lr', terms)
  set_odd('lent', '1')
end

-- The queues that a profile serves at any time.
local function own_queues(definition)
  local known, own = cjson.decode(definition), {}
  local lent = {}
  for _, pair in ipairs(known[4] or {}) do
    lent[pair[1]] = true
  end
  for _, pair in ipairs(known[2]) do
    if not lent[pair[1]] then
      own[#own + 1] = pair[1]
    end
  end
  return own
end

local function serve_queues(profile, definition)
  for _, queue in ipairs(own_queues(definition)) do
    rc('SADD', K .. 'qp:' .. queue, profile)
  end
end

-- A class or a profile is forgotten.
local function forget_terms(kind, name, definition)
  for _, terms in ipairs(rc('SMEMBERS', K .. kind.lent .. name)) do
    for _, other in ipairs(rc('ZRANGE', fits_key(kind.mine, name, terms), 0, -1)) do
      rc('ZREM', fits_key(kind.others, other, terms), name)
      if rc('EXISTS', fits_key(kind.others, other, terms)) == 0 then
        rc('SREM', K .. kind.lent_others .. other, terms)
        if kind.lent == 'cr:' then
          rc('SREM', K .. 'lt:' .. terms, other)
        end
      end
    end
    rc('DEL', fits_key(kind.mine, name, terms))
    if kind.lent == 'pr:' then
      rc('SREM', K .. 'lt:' .. terms, name)
    end
    if rc('EXISTS', K .. 'lt:' .. terms) == 0 then
      rc('SREM', K .. 'lr', terms)
    end
  end
  rc('DEL', K .. kind.lent .. name)
  if rc('EXISTS', K .. 'lr') == 0 then
    set_odd('lent', nil)
  end
  if kind.lent == 'pr:' then
    for _, queue in ipairs(own_queues(definition)) do
      rc('SREM', K .. 'qp:' .. queue, name)
    end
  end
end
