-- include: base
-- The scores of routing/strategy.py, of what the store knows about an idle agent.
local TENTHS = 1e11

local function idle_facts(agent)
  local v = rc('HMGET', K .. 'a:' .. agent, 'is', 'lr', 'cn', 'bz', 'si', 'od', 'wt', 'ck')
  return {
    id = agent, since = tonumber(v[1]), rung = v[2] or '0', calls = tonumber(v[3] or '0'),
    busy = tonumber(v[4] or '0'), signed_in = tonumber(v[5] or '0'), order = tonumber(v[6] or '0'),
    weight = tonumber(v[7] or '1'), clock = tonumber(v[8] or '0'),
  }
end

local score_by = {}

score_by['round-robin'] = function(agent)
  return agent.rung
end

score_by['fewest-calls'] = function(agent)
  return int(math.min(agent.calls, 90000) * TENTHS + math.floor(agent.since / 100))
end

score_by['least-occupied'] = function(agent)
  local present = math.max(1, agent.since - agent.signed_in)
  local occupancy = math.min(10000, math.floor(agent.busy * 10000 / present))
  return int(occupancy * TENTHS + math.floor(agent.since / 100))
end

score_by['linear'] = function(agent)
  return agent.order
end

score_by['weighted-random'] = function(agent)
  local digest = redis.sha1hex(agent.id .. ':' .. agent.rung)
  local uniform = (tonumber(string.sub(digest, 1, 8), 16) + 1) / 4294967296
  return int(agent.clock + math.floor(-math.log(uniform) * 1000000 / agent.weight))
end
