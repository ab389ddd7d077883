-- include: define orders
-- Makes a class known, with the profiles that may take its calls.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 version of the registry, 3 class, 4 definition, 5 order of its idle
--          agents, 6.. profile, rank, ...
-- Returns  the new version (text), 0 where it is known already, or -4 where the registry has changed
local kind = { definitions = 'cl', last_used = 'ck', mine = 'cp:', others = 'pc:' }
local version = define(tonumber(ARGV[1]), ARGV[2], kind, ARGV[3], ARGV[4], 6)
if type(version) == 'string' then
  use_order(ARGV[3], ARGV[5])
end
return version
