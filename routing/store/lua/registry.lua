-- include: base
-- KEYS[1]  prefix of the site
-- Returns  version ('' at first), classes and profiles as name, definition, ...
return { rc('GET', K .. 'rv') or '', rc('HGETALL', K .. 'cl'), rc('HGETALL', K .. 'pf') }
