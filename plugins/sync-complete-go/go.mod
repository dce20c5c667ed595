module sync-complete

go 1.21
