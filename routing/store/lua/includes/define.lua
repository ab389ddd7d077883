-- include: base tokens lendings
-- Adds a class or a profile with the names of the other kind that fit it, and their ranks. The registry has one version:
-- who computed the fit from an older one looks again.
local function define(now, version, kind, name, definition, first_fit)
  if rc('HEXISTS', K .. kind.definitions, name) == 1 then
    rc('ZADD', K .. kind.last_used, 'GT', now, name)
    return OK
  end
  if (rc('GET', K .. 'rv') or '') ~= version then
    return RACED
  end
  for i = first_fit, #ARGV, 3 do
    local other, rank, terms = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if terms ~= '' then
      know_terms(kind, name, other, terms)
    end
    rc('ZADD', fits_key(kind.mine, name, terms), rank, other)
    rc('ZADD', fits_key(kind.others, other, terms), rank, name)
  end
  rc('HSET', K .. kind.definitions, name, definition)
  rc('ZADD', K .. kind.last_used, now, name)
  rc('ZADD', K .. 'due', 'NX', now + SWEEP_EVERY_MS, 's:')
  local new = int(next_token(now))
  rc('SET', K .. 'rv', new)
  return new
end
