-- include: base callback_shown
-- KEYS[1]  prefix of the site
-- ARGV     1 id
-- Returns  {} where there is none, else {what callback_shown has of it}
return { callback_shown(ARGV[1]) or nil }
