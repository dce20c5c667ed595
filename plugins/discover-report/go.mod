module discover-report

go 1.21
