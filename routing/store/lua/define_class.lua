-- include: define orders weights
-- Makes a class known, with the profiles that may take its calls.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 version of the registry, 3 class, 4 definition, 5 order of its idle
--          agents, 6 weight of its queue, 7.. profile, rank, ...
-- Returns  the new version (text), 0 where it is known already, or -4 where the registry has changed
local kind = { definitions = 'cl', last_used = 'ck', mine = 'cp:', others = 'pc:' }
local version = define(tonumber(ARGV[1]), ARGV[2], kind, ARGV[3], ARGV[4], 7)
if type(version) == 'string' then
  use_order(ARGV[3], ARGV[5])
  use_weight(ARGV[3], ARGV[6])
end
return version
