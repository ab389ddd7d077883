-- include: define lendings
-- Makes a profile known, with the classes whose calls it may take.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 version of the registry, 3 profile, 4 definition, 5.. class, rank, terms of lending, ...
-- Returns  the new version (text), 0 where it is known already, or -4 where the registry has changed
local kind = { definitions = 'pf', last_used = 'pk', mine = 'pc:', others = 'cp:', lent = 'pr:', lent_others = 'cr:' }
local version = define(tonumber(ARGV[1]), ARGV[2], kind, ARGV[3], ARGV[4], 5)
if type(version) == 'string' then
  serve_queues(ARGV[3], ARGV[4])
end
return version
