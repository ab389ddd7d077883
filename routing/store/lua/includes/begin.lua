-- include: base site
-- Comes last: how a script is begun. What one run of a script keeps in these must not be seen by the next.
local function register(name, script)
  redis.register_function('LIBRARY_' .. name, function(keys, args)
    K, ARGV, rc = keys[1], args, redis.call
    oddities = nil
    return script()
  end)
end
