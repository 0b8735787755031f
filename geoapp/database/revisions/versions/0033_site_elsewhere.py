"""sql/migrations/0033_site_elsewhere"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0033"
down_revision = "0031"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0033_site_elsewhere")
