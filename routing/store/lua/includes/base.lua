-- Every key of a site begins with K, the one key that a script is given, which holds the hash tag: one Cluster slot
-- for all of them. Set anew whenever a script begins (includes/begin.lua), with its arguments.
local K, ARGV
local rc

local OK = 0
local UNKNOWN_CLASS = -1
local UNKNOWN_PROFILE = -2
local STALE_TOKEN = -3
local RACED = -4
local IN_DOUBT = -5

-- Numbers above 1e14 lose digits when Lua joins them to a string.
local function int(number)
  return string.format('%.0f', number)
end

local function due_at(time, what)
  return rc('ZADD', K .. 'due', time, what)
end

local function not_due(what)
  rc('ZREM', K .. 'due', what)
end
